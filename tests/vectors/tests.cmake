# vectors_check DIR: the statistics against values computed elsewhere with 50 digits.
add_executable(vectors_check ${CMAKE_SOURCE_DIR}/tests/tools/vectors_check.c
               ${CMAKE_SOURCE_DIR}/tests/tools/vectors_counts.c
               ${CMAKE_SOURCE_DIR}/tests/tools/vectors_latency.c
               ${CMAKE_SOURCE_DIR}/tests/tools/vectors_rules.c)
target_link_libraries(vectors_check PRIVATE serin_stats PkgConfig::JANSSON)
set_target_properties(vectors_check PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
add_test(NAME vectors-own COMMAND vectors_check ${CMAKE_SOURCE_DIR}/tests/vectors)
set_tests_properties(vectors-own PROPERTIES LABELS vectors)
if(EXISTS ${CMAKE_SOURCE_DIR}/../shared/vectors)
  add_test(NAME vectors-shared COMMAND vectors_check ${CMAKE_SOURCE_DIR}/../shared/vectors)
  set_tests_properties(vectors-shared PROPERTIES LABELS vectors)
endif()

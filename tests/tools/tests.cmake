# The lint gates, one ctest a gate; each prints file:line and what to do.
find_program(PYTHON3 python3 REQUIRED)
foreach(gate layers functions banned format scripts duplicates readmes words)
  add_test(NAME lint-${gate} COMMAND ${PYTHON3} -B tests/tools/check_${gate}
           WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  list(APPEND gates lint-${gate})
endforeach()
add_test(NAME lint-symbols COMMAND ${PYTHON3} -B tests/tools/check_symbols
         --build ${CMAKE_BINARY_DIR} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
add_test(NAME lint-selftest COMMAND ${PYTHON3} -B tests/tools/selftest
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(${gates} lint-symbols lint-selftest PROPERTIES LABELS lint TIMEOUT 120)

# Prints the state table between README.md's marks; tests/unit/core/test_table.c compares.
if(TARGET serin_core)
  add_executable(state_table ${CMAKE_CURRENT_LIST_DIR}/state_table.c)
  target_link_libraries(state_table PRIVATE serin_core)
endif()

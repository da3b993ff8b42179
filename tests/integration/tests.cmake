# Real brokers and whole processes. Each topic has its own folder and tests.cmake.
# Fixture kafka1: one broker for all tests that say FIXTURES_REQUIRED kafka1; run them as
# with_env.sh ${CMAKE_BINARY_DIR}/kafka1.env PROGRAM..., its address is SERIN_TEST_BOOTSTRAP.
add_test(NAME kafka1-start COMMAND ${CMAKE_CURRENT_LIST_DIR}/kafka1.sh start ${CMAKE_BINARY_DIR})
add_test(NAME kafka1-stop COMMAND ${CMAKE_CURRENT_LIST_DIR}/kafka1.sh stop ${CMAKE_BINARY_DIR})
set_tests_properties(kafka1-start PROPERTIES FIXTURES_SETUP kafka1 LABELS integration TIMEOUT 600)
set_tests_properties(kafka1-stop PROPERTIES FIXTURES_CLEANUP kafka1 LABELS integration)

file(GLOB topics CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*/tests.cmake)
foreach(topic ${topics})
  include(${topic})
endforeach()

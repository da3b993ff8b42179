# The engine as a service, on its embedded broker.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME integration-run COMMAND ${PYTHON3} -B tests/integration/run/test_run.py
         $<TARGET_FILE:serin> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(integration-run PROPERTIES LABELS integration TIMEOUT 300)

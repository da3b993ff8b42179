# Without a terminal, as CI runs it, and on one.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME integration-demo COMMAND ${PYTHON3} -B tests/integration/demo/test_demo.py
         $<TARGET_FILE:serin> WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(integration-demo PROPERTIES LABELS integration TIMEOUT 300
                     RUN_SERIAL TRUE)

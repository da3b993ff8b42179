# What is posted, on a broker that goes away.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME integration-receive
         COMMAND ${PYTHON3} -B tests/integration/receive/receive.py
         $<TARGET_FILE:serin> tests/support/kafka.sh WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(integration-receive PROPERTIES LABELS integration TIMEOUT 600)

# A real broker and kcat on both sides.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME integration-acceptance
         COMMAND ${PYTHON3} -B tests/integration/acceptance/acceptance.py
         $<TARGET_FILE:serin> tests/support/kafka.sh WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(integration-acceptance PROPERTIES LABELS integration TIMEOUT 600
                     RESOURCE_LOCK kafka RUN_SERIAL TRUE)

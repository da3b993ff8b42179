# Alerts to a real Alertmanager, a mail server, and an HTTP server that fails first.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME integration-notify
         COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh ${CMAKE_BINARY_DIR}/kafka1.env
                 ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/notify.py $<TARGET_FILE:serin>)
set_tests_properties(integration-notify PROPERTIES LABELS integration TIMEOUT 600
                     FIXTURES_REQUIRED kafka1)

# TLS, SCRAM and ACLs between serin and a real broker.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME integration-secured
         COMMAND ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/secured.py $<TARGET_FILE:serin>
         ${CMAKE_SOURCE_DIR}/tests/support/kafka.sh)
set_tests_properties(integration-secured PROPERTIES LABELS integration TIMEOUT 600
                     RESOURCE_LOCK kafka COST 20)

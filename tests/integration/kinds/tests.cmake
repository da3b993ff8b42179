# Every kind of metric, and bad records of every sort; kcat, a real broker.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME integration-kinds
         COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh ${CMAKE_BINARY_DIR}/kafka1.env
                 ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/kinds.py $<TARGET_FILE:serin>)
set_tests_properties(integration-kinds PROPERTIES LABELS integration TIMEOUT 600
                     FIXTURES_REQUIRED kafka1 RUN_SERIAL TRUE)

# What a release waits for: webhooks and programs, other rollouts; runners that die.
find_program(PYTHON3 python3 REQUIRED)
add_test(NAME integration-release
         COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh ${CMAKE_BINARY_DIR}/kafka1.env
                 ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/release.py $<TARGET_FILE:serin>)
set_tests_properties(integration-release PROPERTIES LABELS integration TIMEOUT 600
                     FIXTURES_REQUIRED kafka1 RUN_SERIAL TRUE)

find_program(PYTHON3 python3 REQUIRED)
# The worker against a broker in memory that fails on purpose.
if(TARGET serin_ingest AND worker_sources)
  add_executable(integration-ingest-worker-fake
    ${CMAKE_CURRENT_LIST_DIR}/test_worker_fake.c ${CMAKE_CURRENT_LIST_DIR}/fake_bus.c
    ${worker_sources})
  target_link_libraries(integration-ingest-worker-fake
    PRIVATE serin_ingest serin_support PkgConfig::CRITERION)
  add_test(NAME integration-ingest-worker-fake
    COMMAND ${CMAKE_SOURCE_DIR}/tests/support/run_clean.sh
            $<TARGET_FILE:integration-ingest-worker-fake>
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(integration-ingest-worker-fake PROPERTIES LABELS integration
                       TIMEOUT 300)
endif()

# An hour of backlog judged as at the pace of the clock.
if(TARGET serin_core AND worker_sources)
  add_executable(integration-ingest-backlog
    ${CMAKE_CURRENT_LIST_DIR}/test_worker_backlog.c ${CMAKE_CURRENT_LIST_DIR}/fake_bus.c
    ${worker_sources})
  target_link_libraries(integration-ingest-backlog
    PRIVATE serin_ingest serin_core serin_support PkgConfig::CRITERION)
  add_test(NAME integration-ingest-backlog
    COMMAND ${CMAKE_SOURCE_DIR}/tests/support/run_clean.sh
            $<TARGET_FILE:integration-ingest-backlog>
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(integration-ingest-backlog PROPERTIES LABELS integration
                       TIMEOUT 300)
endif()

# A partition whose broker is away, among others that go on.
if(TARGET serin_worker)
  add_executable(integration-ingest-hung ${CMAKE_CURRENT_LIST_DIR}/test_worker_hung.c)
  target_link_libraries(integration-ingest-hung PRIVATE serin_worker serin_support
                        PkgConfig::RDKAFKA PkgConfig::CRITERION)
  add_test(NAME integration-ingest-hung
    COMMAND ${CMAKE_SOURCE_DIR}/tests/support/run_clean.sh
            $<TARGET_FILE:integration-ingest-hung>
    WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
  set_tests_properties(integration-ingest-hung PROPERTIES LABELS integration TIMEOUT 300)
endif()

# Workers killed on a real broker.
if(TARGET serin_worker)
  add_executable(ingest_tool ${CMAKE_CURRENT_LIST_DIR}/ingest_tool.c)
  target_link_libraries(ingest_tool PRIVATE serin_worker)
  foreach(workers 1 2)
    add_test(NAME integration-ingest-kill-${workers}
             COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh
                     ${CMAKE_BINARY_DIR}/kafka1.env ${PYTHON3} -B
                     ${CMAKE_CURRENT_LIST_DIR}/kill.py --tool $<TARGET_FILE:ingest_tool>
                     --loadgen $<TARGET_FILE:loadgen> --workers ${workers} --threads ${workers})
    set_tests_properties(integration-ingest-kill-${workers} PROPERTIES LABELS integration
                         TIMEOUT 1800 FIXTURES_REQUIRED kafka1 RUN_SERIAL TRUE)
  endforeach()
endif()

# Inputs, threads, `top` and `input check`, through the program.
if(TARGET serin)
  add_test(NAME integration-ingest-inputs
           COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh
                   ${CMAKE_BINARY_DIR}/kafka1.env ${PYTHON3} -B
                   ${CMAKE_CURRENT_LIST_DIR}/inputs.py $<TARGET_FILE:serin>)
  set_tests_properties(integration-ingest-inputs PROPERTIES LABELS integration TIMEOUT 300
                       FIXTURES_REQUIRED kafka1 RUN_SERIAL TRUE)
endif()

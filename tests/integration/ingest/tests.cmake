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

# Kill the engine and brokers under load; verdicts as of one uninterrupted fold. Long
# forms: SERIN_LONG=1.
foreach(mode kill rebalance broker outage)
  set(rounds_kill 10)
  set(rounds_rebalance 4)
  set(rounds_broker 2)
  set(rounds_outage 2)
  add_test(NAME integration-crash-${mode}
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/crash.py --serin $<TARGET_FILE:serin> --mode ${mode}
                   --rounds ${rounds_${mode}})
  set_tests_properties(integration-crash-${mode} PROPERTIES LABELS integration TIMEOUT 3600
                       RESOURCE_LOCK kafka COST 70)
endforeach()

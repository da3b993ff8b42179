# The bus on a real broker: one program with many cases, and one script that hurts it.
add_executable(bus_real ${CMAKE_CURRENT_LIST_DIR}/bus_real.c)
target_link_libraries(bus_real PRIVATE serin_bus)
foreach(case topics transaction fencing table gap latest missing skip orphans still)
  add_test(NAME integration-bus-${case}
           COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh
                   ${CMAKE_BINARY_DIR}/kafka1.env $<TARGET_FILE:bus_real> ${case})
  set_tests_properties(integration-bus-${case} PROPERTIES LABELS integration TIMEOUT 180
                       FIXTURES_REQUIRED kafka1)
endforeach()
# Copying workers under faults, each on brokers of its own. Three of them take minutes and
# are for the long form; integration-crash-broker has three in the short one.
set(modes kill rebalance freeze broker stop)
if(SERIN_LONG)
  list(APPEND modes broker3)
endif()
foreach(mode ${modes})
  set(arguments --mode ${mode})
  if(mode STREQUAL "broker3")
    set(arguments --mode broker --brokers 3)
  endif()
  add_test(NAME integration-bus-faults-${mode}
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/bus_faults.py --program $<TARGET_FILE:bus_real>
                   ${arguments})
  set_tests_properties(integration-bus-faults-${mode} PROPERTIES LABELS integration
                       TIMEOUT 3600 RESOURCE_LOCK kafka COST 40)
endforeach()

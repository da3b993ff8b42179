# The bus on a real broker: one program with many cases, and one script that hurts it.
add_executable(bus_real ${CMAKE_CURRENT_LIST_DIR}/bus_real.c)
target_link_libraries(bus_real PRIVATE serin_bus)
foreach(case topics transaction fencing table gap latest)
  add_test(NAME integration-bus-${case}
           COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh
                   ${CMAKE_BINARY_DIR}/kafka1.env $<TARGET_FILE:bus_real> ${case})
  set_tests_properties(integration-bus-${case} PROPERTIES LABELS integration TIMEOUT 180
                       FIXTURES_REQUIRED kafka1)
endforeach()

# HAProxy on both sides of the loop; the broker is real.
find_program(PYTHON3 python3 REQUIRED)
foreach(what errors delay faults)
  add_test(NAME integration-act-${what}
           COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh ${CMAKE_BINARY_DIR}/kafka1.env
                   ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/proxy.py $<TARGET_FILE:serin> ${what})
  set_tests_properties(integration-act-${what} PROPERTIES LABELS integration TIMEOUT 600
                       FIXTURES_REQUIRED kafka1)
endforeach()
# The same with nginx at the edge.
foreach(what errors faults)
  add_test(NAME integration-act-nginx-${what}
           COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh ${CMAKE_BINARY_DIR}/kafka1.env
                   ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/nginx_edge.py $<TARGET_FILE:serin> ${what})
  set_tests_properties(integration-act-nginx-${what} PROPERTIES LABELS integration TIMEOUT 600
                       FIXTURES_REQUIRED kafka1)
endforeach()

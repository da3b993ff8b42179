# The drivers of engine/act that no proxy from Debian proves: act_tool runs one of them.
find_program(PYTHON3 python3 REQUIRED)
if(TARGET serin_act)
  add_executable(act_tool ${CMAKE_CURRENT_LIST_DIR}/act_tool.c)
  target_link_libraries(act_tool PRIVATE serin_act)
  foreach(name nginx examples flagd webhook exec envoy envoy_real gateway)
    add_test(NAME integration-act_flags-${name}
             COMMAND ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/${name}.py $<TARGET_FILE:act_tool>)
    set_tests_properties(integration-act_flags-${name} PROPERTIES LABELS integration TIMEOUT 300)
  endforeach()
endif()

# A flag from the users' first question to the kill switch: flagd's core, a real broker, serin.
if(TARGET serin)
  add_test(NAME integration-act_flags-loop
           COMMAND ${CMAKE_SOURCE_DIR}/tests/integration/with_env.sh ${CMAKE_BINARY_DIR}/kafka1.env
                   ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/flag_loop.py $<TARGET_FILE:serin>)
  set_tests_properties(integration-act_flags-loop PROPERTIES LABELS integration TIMEOUT 600
                       FIXTURES_REQUIRED kafka1)
endif()
set_tests_properties(integration-act_flags-flagd integration-act_flags-loop PROPERTIES
                     RESOURCE_LOCK npm)

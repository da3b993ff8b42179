# The API and the client verbs: on the embedded broker, and on a real one that goes away.
find_program(PYTHON3 python3 REQUIRED)
if(TARGET serin AND TARGET serin_serve AND TARGET serin_stage)
  add_executable(serve-world ${CMAKE_CURRENT_LIST_DIR}/world.c)
  target_link_libraries(serve-world PRIVATE serin_serve serin_stage)
  foreach(name verbs outage)
    add_test(NAME integration-serve-${name}
             COMMAND ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/${name}.py
                     --serin $<TARGET_FILE:serin> --world $<TARGET_FILE:serve-world>)
    set_tests_properties(integration-serve-${name} PROPERTIES LABELS integration TIMEOUT 300)
  endforeach()
  set_tests_properties(integration-serve-outage PROPERTIES RESOURCE_LOCK kafka COST 30)
endif()

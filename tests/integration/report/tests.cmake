# serin report: the files it writes, opened by what people open them with.
find_program(PYTHON3 python3 REQUIRED)
if(TARGET serin AND TARGET serin_serve AND TARGET serin_stage) # those of serve-world
  add_test(NAME integration-report
           COMMAND ${PYTHON3} -B ${CMAKE_CURRENT_LIST_DIR}/report.py
                   --serin $<TARGET_FILE:serin> --world $<TARGET_FILE:serve-world>)
  set_tests_properties(integration-report PROPERTIES LABELS integration TIMEOUT 300)
endif()

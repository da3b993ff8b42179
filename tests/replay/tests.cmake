# serin replay on recordings made by hand.
if(TARGET serin)
  add_test(NAME replay-cli
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/replay.py --serin $<TARGET_FILE:serin>)
  set_tests_properties(replay-cli PROPERTIES LABELS replay TIMEOUT 300)
endif()

# serin replay on recordings made by hand.
if(TARGET serin)
  add_test(NAME replay-cli
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/replay.py --serin $<TARGET_FILE:serin>)
  add_test(NAME replay-metrics
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/metrics.py --serin $<TARGET_FILE:serin>)
  add_test(NAME replay-imports
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/imports.py --serin $<TARGET_FILE:serin>)
  add_test(NAME replay-anonymize
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/anonymize.py --serin $<TARGET_FILE:serin>)
  add_test(NAME replay-tune
           COMMAND ${CMAKE_CURRENT_LIST_DIR}/tune.py --serin $<TARGET_FILE:serin>)
  set_tests_properties(replay-cli replay-metrics replay-imports replay-anonymize replay-tune PROPERTIES LABELS replay TIMEOUT 300)
  # Real recordings, where they are.
  if(EXISTS ${CMAKE_SOURCE_DIR}/../shared/data/truth.json)
    add_test(NAME replay-shared
             COMMAND ${CMAKE_CURRENT_LIST_DIR}/shared.py --serin $<TARGET_FILE:serin>
                     --data ${CMAKE_SOURCE_DIR}/../shared/data)
    add_test(NAME replay-tuned
             COMMAND ${CMAKE_CURRENT_LIST_DIR}/tuned.py --serin $<TARGET_FILE:serin>
                     --data ${CMAKE_SOURCE_DIR}/../shared/data --runs 10)
    set_tests_properties(replay-shared replay-tuned PROPERTIES LABELS replay TIMEOUT 300)
  endif()
endif()

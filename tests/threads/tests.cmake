# Plain programs, meant for the thread sanitizer (cmake -DSERIN_TSAN=ON); they run, and must
# pass, in every build. A report of TSan makes a program exit with 66.
add_executable(threads-log threads/log.c)
target_link_libraries(threads-log PRIVATE serin_base)
if(TARGET serin_serve AND TARGET serin_stage AND TARGET serin_worker)
  add_executable(threads-engine threads/engine.c threads/c11.c ${CMAKE_SOURCE_DIR}/engine/cli/engine.c
                 ${CMAKE_SOURCE_DIR}/engine/cli/engine_metrics.c
                 ${CMAKE_SOURCE_DIR}/engine/cli/demo_traffic.c
                 ${CMAKE_SOURCE_DIR}/engine/cli/recorded.c)
  target_link_libraries(threads-engine PRIVATE serin_serve serin_stage serin_follow serin_replay
                        serin_worker)
  list(APPEND thread_tests threads-engine)
endif()
if(TARGET serin_replay)
  add_executable(threads-replay threads/replay.c support/inbox.c)
  target_link_libraries(threads-replay PRIVATE serin_replay)
  list(APPEND thread_tests threads-replay)
  add_executable(threads-crowd threads/crowd.c)
  target_link_libraries(threads-crowd PRIVATE serin_replay)
  list(APPEND thread_tests threads-crowd)
endif()
foreach(test threads-log ${thread_tests})
  add_test(NAME ${test} COMMAND ${test})
  set_tests_properties(${test} PROPERTIES LABELS threads TIMEOUT 300)
endforeach()

# Plain programs, meant for the thread sanitizer (cmake -DSERIN_TSAN=ON); they run, and must
# pass, in every build. A report of TSan makes a program exit with 66.
add_executable(threads-log threads/log.c)
target_link_libraries(threads-log PRIVATE serin_base)
foreach(test threads-log ${thread_tests})
  add_test(NAME ${test} COMMAND ${test})
  set_tests_properties(${test} PROPERTIES LABELS threads TIMEOUT 300)
endforeach()

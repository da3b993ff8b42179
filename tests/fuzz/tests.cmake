# Every fuzz/fuzz_NAME.c is a fuzz target over fuzz/corpus/NAME. Under gcc fuzz_main.c
# replays and mutates it with a fixed seed (ctest -L fuzz, seconds; SERIN_LONG=1 hours);
# with clang and -DSERIN_FUZZ=ON it is a libFuzzer program fuzz_NAME.
file(GLOB fuzz_sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/fuzz_*.c)
list(FILTER fuzz_sources EXCLUDE REGEX "fuzz_main\\.c$")
foreach(source ${fuzz_sources})
  cmake_path(GET source STEM name)
  string(REGEX REPLACE "^fuzz_" "" corpus ${name})
  add_executable(${name} ${source})
  foreach(layer replay ingest core stats proto base)
    if(TARGET serin_${layer})
      target_link_libraries(${name} PRIVATE serin_${layer})
    endif()
  endforeach()
  if(SERIN_FUZZ)
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
  else()
    target_sources(${name} PRIVATE ${CMAKE_CURRENT_LIST_DIR}/fuzz_main.c)
    add_test(NAME ${name}
             COMMAND ${CMAKE_CURRENT_LIST_DIR}/run.sh $<TARGET_FILE:${name}>
                     ${CMAKE_CURRENT_LIST_DIR}/corpus/${corpus}
             WORKING_DIRECTORY ${CMAKE_BINARY_DIR})
    set_tests_properties(${name} PROPERTIES LABELS fuzz TIMEOUT 86400)
  endif()
endforeach()

# Every bench/bench_*.c is a program that prints one JSON object; tests/bench/run.sh runs
# them. Not part of ctest: they measure, they do not judge.
file(GLOB bench_sources CONFIGURE_DEPENDS bench/bench_*.c)
foreach(source ${bench_sources})
  cmake_path(GET source STEM name)
  add_executable(${name} ${source})
  target_link_libraries(${name} PRIVATE PkgConfig::RDKAFKA)
  foreach(layer serve replay stage worker ingest core bus stats proto base)
    if(TARGET serin_${layer})
      target_link_libraries(${name} PRIVATE serin_${layer})
    endif()
  endforeach()
endforeach()

# Records of many rollouts, written as the tests write them.
target_sources(bench_fold PRIVATE support/inbox.c)
target_sources(bench_replay PRIVATE support/inbox.c)

# A tool for people, beside the bench that shares its messages.
add_executable(loadgen ${CMAKE_SOURCE_DIR}/tests/tools/loadgen.c)
target_link_libraries(loadgen PRIVATE serin_proto serin_base PkgConfig::RDKAFKA)

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

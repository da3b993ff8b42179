# Real brokers and whole processes. Each topic has its own folder and tests.cmake.
file(GLOB topics CONFIGURE_DEPENDS ${CMAKE_CURRENT_LIST_DIR}/*/tests.cmake)
foreach(topic ${topics})
  include(${topic})
endforeach()

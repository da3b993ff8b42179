# engine/cli is a program, not a layer: its parts that deserve a test are compiled into it.
add_executable(unit-cli-test_config unit/cli/test_config.c
               ${CMAKE_SOURCE_DIR}/engine/cli/config.c ${CMAKE_SOURCE_DIR}/engine/cli/file.c)
target_link_libraries(unit-cli-test_config PRIVATE serin_notify serin_act serin_base serin_pbc serin_support
                      PkgConfig::CRITERION)
add_test(NAME unit-cli-test_config
         COMMAND ${CMAKE_SOURCE_DIR}/tests/support/run_clean.sh
                 $<TARGET_FILE:unit-cli-test_config>
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})

# The program's own words: lint, schemas (by Debian's python3-jsonschema), completion.
add_test(NAME unit-cli-schema
         COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/cli/schema.py $<TARGET_FILE:serin>
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
add_test(NAME unit-cli-lint
         COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/cli/lint.sh $<TARGET_FILE:serin>
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
add_test(NAME unit-cli-completion
         COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/cli/completion.sh $<TARGET_FILE:serin>
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
add_test(NAME unit-cli-plan
         COMMAND ${CMAKE_SOURCE_DIR}/tests/unit/cli/plan.sh $<TARGET_FILE:serin>
         WORKING_DIRECTORY ${CMAKE_SOURCE_DIR})
set_tests_properties(unit-cli-test_config unit-cli-schema unit-cli-lint unit-cli-completion
                     unit-cli-plan
                     PROPERTIES LABELS unit TIMEOUT 120)

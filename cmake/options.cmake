# Flags that every target gets. Warnings after STYLE rule 25; hardening only with optimization on.
add_compile_definitions(_GNU_SOURCE SLUICE_VERSION="${PROJECT_VERSION}")
add_compile_options(
    -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wsign-conversion -Wstrict-prototypes
    -Wmissing-prototypes -Wcast-qual -Wpointer-arith -Wwrite-strings -Wvla -Wundef -Wformat=2
    -Wnull-dereference -Wimplicit-fallthrough -Wswitch-enum)
if(CMAKE_C_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-Wlogical-op -Wduplicated-cond)
endif()
if(WERROR)
    add_compile_options(-Werror)
endif()

set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
if(CMAKE_BUILD_TYPE STREQUAL "Release")
    add_compile_options(-D_FORTIFY_SOURCE=2 -fstack-protector-strong -fstack-clash-protection -fcf-protection)
endif()
add_link_options(-Wl,-z,relro,-z,now -Wl,--as-needed)

# What reads and writes files at its end cannot have a worker's whole sandbox (base/sandbox.c).
if(SANITIZE OR COVERAGE)
    add_compile_definitions(INSTRUMENTED)
endif()

# For bench/instructions only: valgrind has files and descriptors of its own in the process, and makes
# system calls that no worker makes.
if(UNCONFINED)
    add_compile_definitions(UNCONFINED)
endif()

# For bench/run only, to tell what they cost: without counts on the scoreboard, split and users. Nothing drains.
if(BARE)
    add_compile_definitions(BARE)
endif()

if(SANITIZE)
    add_compile_options(-fsanitize=${SANITIZE} -fno-omit-frame-pointer -fno-sanitize-recover=undefined)
    add_link_options(-fsanitize=${SANITIZE})
    # gcc's null and overflow analysis sees ghosts in instrumented code.
    add_compile_options(-Wno-null-dereference)
    # Programs defined from here on have the options of sanitizer.c.
    add_library(sluice_sanitizer OBJECT ${CMAKE_CURRENT_LIST_DIR}/sanitizer.c)
    target_compile_options(sluice_sanitizer PRIVATE -fno-sanitize=all)
    link_libraries($<$<STREQUAL:$<TARGET_PROPERTY:TYPE>,EXECUTABLE>:$<TARGET_OBJECTS:sluice_sanitizer>>)
endif()
if(FUZZ)
    add_compile_options(-fsanitize=fuzzer-no-link)
    add_link_options(-fsanitize=fuzzer-no-link)
endif()
if(COVERAGE)
    add_compile_options(--coverage -O0)
    add_link_options(--coverage)
endif()

include(CheckPIESupported)
check_pie_supported()
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

# sluice_hot(LIBRARIES... ): what the worker runs per request. In release builds the worker is optimized
# across them as a whole, which saves one instruction in eleven (bench/README.md); they are ordinary objects
# as well, so what tests link of them costs no such link.
set(HOT OFF)
if(CMAKE_BUILD_TYPE STREQUAL "Release" AND CMAKE_C_COMPILER_ID STREQUAL "GNU")
    set(HOT ON)
endif()
function(sluice_hot)
    foreach(target IN LISTS ARGN)
        if(HOT)
            target_compile_options(${target} PRIVATE -flto=auto -ffat-lto-objects)
        endif()
    endforeach()
endfunction()

# sluice_program(NAME DIRECTORY SOURCES... ) makes an executable in DIRECTORY.
function(sluice_program name directory)
    add_executable(${name} ${ARGN})
    set_target_properties(${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${directory})
endfunction()

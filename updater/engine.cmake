# The engine client and what containers are made of. Apart, so that tests link it alone.
add_library(sluice_engine STATIC
    container.c
    container_changes.c
    container_difference.c
    container_facts.c
    container_networks.c
    container_settings.c
    container_template.c
    container_undo.c
    container_volumes.c
    credentials.c
    engine.c
    engine_calls.c
    engine_events.c
    engine_json.c
    engine_looks.c
    engine_objects.c
    engine_pull.c
    engine_registry.c
    engine_remove.c
    engine_text.c
    image_choose.c
    image_names.c
    pull_progress.c)
target_include_directories(sluice_engine PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(sluice_engine PUBLIC sluice_base_http sluice_base_script sluice_board PkgConfig::CJSON)

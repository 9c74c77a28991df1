# The checks before a rollout: pure, so that their tests link nothing that could do I/O.
add_library(sluice_preflight STATIC
    preflight_containers.c
    preflight_dependents.c
    preflight_engine.c
    preflight_host.c
    preflight_image.c
    preflight_results.c
    preflight_settings.c
    preflight_state.c)
target_link_libraries(sluice_preflight PUBLIC sluice_engine sluice_plan sluice_config)

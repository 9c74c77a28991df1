# The planner: pure, so it links nothing that could do I/O.
add_library(sluice_plan STATIC
    analysis.c
    plan.c
    plan_analysis.c
    plan_back.c
    plan_container.c
    plan_drain.c
    plan_forward.c
    plan_parts.c
    plan_preview.c
    plan_promoted.c
    plan_rolling.c
    plan_scale.c
    plan_tasks.c
    rollout_spec.c)
target_link_libraries(sluice_plan PUBLIC sluice_board PRIVATE m)

add_library(sluice_journal STATIC
    journal.c
    journal_actions.c
    journal_changes.c
    journal_drains.c
    journal_notes.c
    journal_progress.c
    journal_records.c
    journal_preflight.c
    journal_rollouts.c
    journal_schema.c
    journal_spec.c
    journal_tasks.c)
target_link_libraries(sluice_journal PUBLIC sluice_plan sluice_config PRIVATE PkgConfig::SQLITE
                                     PkgConfig::CJSON)

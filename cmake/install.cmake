# cmake --install build/release --prefix /usr/local
include(GNUInstallDirs)
install(TARGETS sluice RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
install(TARGETS sluice-supervisor sluice-worker sluice-health sluice-updater
    RUNTIME DESTINATION ${CMAKE_INSTALL_LIBEXECDIR}/sluice)
install(FILES README.md docs/architecture.md docs/admin-api.md docs/engine-api.md docs/configuration.md
    docs/data-plane.md docs/hooks.md docs/operations.md TYPE DOC)
install(FILES packaging/completion/sluice.bash
    DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions RENAME sluice)
install(FILES packaging/logrotate DESTINATION ${CMAKE_INSTALL_DOCDIR}/examples)
configure_file(packaging/sluice.service.in packaging/sluice.service @ONLY)
install(FILES ${CMAKE_BINARY_DIR}/packaging/sluice.service
    DESTINATION lib/systemd/system)

# The admin API's transport, apart from the updater itself, so that its test links nothing else.
add_library(sluice_admin STATIC admin.c admin_socket.c admin_stream.c)
target_link_libraries(sluice_admin PUBLIC sluice_base PkgConfig::MICROHTTPD PkgConfig::CJSON)

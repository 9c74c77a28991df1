# The HTTP/1.1 parser: pure, linked by the worker, its unit tests and the fuzz targets.
add_library(sluice_http1 STATIC
    http1_bytes.c
    http1_known.c
    http1_result.c
    http1_chunked.c
    http1_connection.c
    http1_fields.c
    http1_request.c
    http1_response.c
    http1_target.c)
target_include_directories(sluice_http1 PUBLIC ${CMAKE_SOURCE_DIR})
target_link_libraries(sluice_http1 PUBLIC sluice_base)

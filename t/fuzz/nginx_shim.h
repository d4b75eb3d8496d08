/*
 * nginx_shim.h: for fuzz targets that call code of the module.
 */

#ifndef FUZZ_NGINX_SHIM_H
#define FUZZ_NGINX_SHIM_H

#include <ngx_config.h>
#include <ngx_core.h>
#include <ngx_http.h>


/* once, before anything else */
void fuzz_nginx_init(void);

#endif

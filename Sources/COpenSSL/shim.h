#ifndef FRESHET_COPENSSL_SHIM_H
#define FRESHET_COPENSSL_SHIM_H
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#endif

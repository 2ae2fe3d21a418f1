#ifndef FRESHET_COPENSSL_SHIM_H
#define FRESHET_COPENSSL_SHIM_H
// The low-level hashes are marked as deprecated, but they alone work without allocating.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>

// Macros that the importer drops.
static const int freshet_EVP_PKEY_PUBLIC_KEY = EVP_PKEY_PUBLIC_KEY;
static inline long freshet_BIO_get_mem_data(BIO *memory, char **start) {
  return BIO_get_mem_data(memory, start);
}

// The parameters of public keys. A builder keeps the names and values by reference until it is done, and here
// the names outlive it. The result is freed with OSSL_PARAM_free.
static inline OSSL_PARAM *freshet_point_parameters(const char *group, const unsigned char *point,
                                                   size_t length) {
  OSSL_PARAM *parameters = NULL;
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  if (builder && OSSL_PARAM_BLD_push_utf8_string(builder, OSSL_PKEY_PARAM_GROUP_NAME, group, 0) &&
      OSSL_PARAM_BLD_push_octet_string(builder, OSSL_PKEY_PARAM_PUB_KEY, point, length))
    parameters = OSSL_PARAM_BLD_to_param(builder);
  OSSL_PARAM_BLD_free(builder);
  return parameters;
}

static inline OSSL_PARAM *freshet_rsa_parameters(const BIGNUM *modulus, const BIGNUM *exponent) {
  OSSL_PARAM *parameters = NULL;
  OSSL_PARAM_BLD *builder = OSSL_PARAM_BLD_new();
  if (builder && OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_N, modulus) &&
      OSSL_PARAM_BLD_push_BN(builder, OSSL_PKEY_PARAM_RSA_E, exponent))
    parameters = OSSL_PARAM_BLD_to_param(builder);
  OSSL_PARAM_BLD_free(builder);
  return parameters;
}

// Answers "no password", so that an encrypted file is an error and not a question on the terminal.
static inline int freshet_no_password(char *buffer, int size, int writing, void *context) {
  (void)buffer;
  (void)size;
  (void)writing;
  (void)context;
  return -1;
}
#endif

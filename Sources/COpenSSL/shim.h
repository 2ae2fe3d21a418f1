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

// Answers "no password", so that an encrypted file is an error and not a question on the terminal.
static inline int freshet_no_password(char *buffer, int size, int writing, void *context) {
  (void)buffer;
  (void)size;
  (void)writing;
  (void)context;
  return -1;
}
#endif

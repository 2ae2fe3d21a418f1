#ifndef FRESHET_COPENSSL_X509_H
#define FRESHET_COPENSSL_X509_H
#include <openssl/x509.h>
#include <openssl/x509v3.h>
#include <string.h>
#include <time.h>

// Lists of general names are macros, which the importer drops. Copies the one name of a certificate's critical
// subject alternative name when it is a URI, and returns its length; -1 for anything else.
static inline int freshet_X509_uri(const X509 *certificate, char *text, int capacity) {
  int critical = -1, length = -1;
  GENERAL_NAMES *names = (GENERAL_NAMES *)X509_get_ext_d2i(certificate, NID_subject_alt_name, &critical, NULL);
  if (names && critical == 1 && sk_GENERAL_NAME_num(names) == 1) {
    const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, 0);
    if (name->type == GEN_URI) {
      const ASN1_IA5STRING *uri = name->d.uniformResourceIdentifier;
      if (ASN1_STRING_length(uri) <= capacity) {
        length = ASN1_STRING_length(uri);
        memcpy(text, ASN1_STRING_get0_data(uri), (size_t)length);
      }
    }
  }
  GENERAL_NAMES_free(names);
  return length;
}

// Seconds since 1970.
static inline int freshet_ASN1_TIME_unix(const ASN1_TIME *time, long long *seconds) {
  struct tm parts;
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  *seconds = (long long)timegm(&parts);
  return 1;
}

static const unsigned long freshet_MBSTRING_UTF8 = MBSTRING_UTF8;
static const unsigned int freshet_EXFLAG_UNFIT = EXFLAG_INVALID | EXFLAG_CRITICAL;
static const unsigned int freshet_EXFLAG_CA = EXFLAG_CA;
#endif

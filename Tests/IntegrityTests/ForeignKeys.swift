/// Keys made by OpenSSL's command for these tests and used nowhere else.
enum ForeignKeys {
  static let p256 = """
    -----BEGIN PRIVATE KEY-----
    MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgj1S1q8FukJE38eBe
    jafFtxpoWSUb17QRikWvmU6iOkahRANCAARoVPu9IpwImbCazkjWep6lT2Z5IWNk
    /IjngWZvVeNj9hD5+HWdckwrmIDufrUnKKMxeCnPkNM4hFgrlr1eOVhu
    -----END PRIVATE KEY-----

    """

  static let traditionalP256 = """
    -----BEGIN EC PRIVATE KEY-----
    MHcCAQEEICsbt2sQl/qwBXzEYosXZlyTKzgy6Np+qXdsY87eFg+eoAoGCCqGSM49
    AwEHoUQDQgAENR50JaAnQrC2oe66IfagUWiSc/j7xGKPma8RRYCZy/GiWplIDYt7
    m2SpZ0oqL0w7ByOxMUXH3iKQFxEEOmylhg==
    -----END EC PRIVATE KEY-----

    """

  static let rsa = """
    -----BEGIN PRIVATE KEY-----
    MIICdgIBADANBgkqhkiG9w0BAQEFAASCAmAwggJcAgEAAoGBAKXwcoVuyvtcnpfN
    eYBVzGmLKApbGpDbDhy/W+eE/2819/4XtTj2QRHeDYFcTKH9FjBf9TGUDmuxcCdw
    Ic5bqWllMdUTIzbZsksOpE8DSw9eTevJUYDXMWwH30+XDoY+jnifCHXn7DJiAkDo
    N5fNJ1gztt3/cWQCqusIxVW1mZ35AgMBAAECgYA1aO0TcZO30BnjtmkTG4qNthKP
    Mr+cPEWQjy8fl7k3rGFD0ZGs4eYTwCsMpg6sXO+VZm1fJc52b0gwCXF4IByooPQ0
    Y/SiPL6JEH9itHK4Kiunhehk2yRmX62lt3wIjjyFszI9/uIPHCPaJ1qEi9U1MjOS
    u/nsavi4naY2BqslYQJBANbhr2Ta2pAIzA/3GcDOYYKnzYdUmAs9F3e2TGVpKKLE
    VeUhx+plYNwKIjb8L4QupeHgGF70jhbJQO09avtZUtUCQQDFsT6O1myIkQgrW0AJ
    5BiSkTL920hvacP/D2NlRrQDwlIb8AjHhSTMlwbwej/kRMcanDEJjfFczoTFsatR
    TsiVAkEAue7m2ZoV7PPvvxDNk+wArBGO4j7soSznlYqEaGup4c2JlY65cbTvLvcF
    zBZC91l16BEEhYWPPWA/cgjm/T65UQJAWwzPKypGwn9Jq+5TCDstthN50MF2Exo7
    UvXbaYGu1yxgdM2QvZPs5u2IHKmxU4j5yp+1Vhkx2PSk4gh6RvBqIQJAXCYHA5Rm
    w111Q/VG6cR/SQZ+TF8HZ01vEGrcRRoGBrtktwOpeJTKHXbL0tIRIHxizKsBx7s7
    y9H9eb4RXNzRuw==
    -----END PRIVATE KEY-----

    """

  static let p521 = """
    -----BEGIN PRIVATE KEY-----
    MIHuAgEAMBAGByqGSM49AgEGBSuBBAAjBIHWMIHTAgEBBEIBuNfn6IEx5kiGMrta
    4ICUrlGmt451lhtjSnDr6KgibctoOY2Gn5NS5TrR0PACp7VUXvD9O71yYZjeiS5Y
    QG6SeuahgYkDgYYABADgkrTI+vsXXJcfd98IvcID7lR+VUEyNkGAcGBqkujlyD22
    UrcWNMKZDqOqU4xL1yXg65zEQKw16y6WamNw7b74iQEzzE3WGhdr5bfiOT49DTMR
    cTGl/h3wdGpgxY98PBPExyKwf+e0XHE9OR06kgJOF2OnOVFGwtGChiQavJGH4xEo
    GA==
    -----END PRIVATE KEY-----

    """

  static let x25519 = """
    -----BEGIN PRIVATE KEY-----
    MC4CAQAwBQYDK2VuBCIEIPAyUqt+V4xclHfGcjabXiZRk/Wr+qwihZgMi5sjrXh/
    -----END PRIVATE KEY-----

    """

  static let encrypted = """
    -----BEGIN ENCRYPTED PRIVATE KEY-----
    MIHsMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAg2CebHjgvsfAICCAAw
    DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEJZkt4PJur9PX8TMNVXbM/IEgZA9
    A6F1CW5Th6EbPATUpe8B6oEY/w6ehikjsrN9PtI8vvmzi2eUFv22g27lULHOinO3
    xmvfv224zZmwNml+7ztUbT0CLvHpJ1YKcUpr5f93iBN2igYHlPl65Xbp2R5zaF1m
    Y3TI7i9OVXOUi+1yFXZ6WagNjXy+ZyLL8IT8wD3aWc+t+8BJ9aTITqlSdcoRL5Y=
    -----END ENCRYPTED PRIVATE KEY-----

    """

  static let shortRSA = """
    -----BEGIN PRIVATE KEY-----
    MIIBVAIBADANBgkqhkiG9w0BAQEFAASCAT4wggE6AgEAAkEA2aT8eLitiokZf3vQ
    gKDTmPaNyL0Tth7QD9ALGzWto+JMxBUpfG9MJXpUVU8BhEdTgTnIZtCJ0Ui4SXyf
    vBzbyQIDAQABAkAsVn8UfNLlwQ5PuUJ9ocXZiIjT1yj31gke34wTq/jGxMgS2GgT
    5EQ03f9EAHFoF7HQvyJ0iao3d66jWM7EMDrdAiEA8/KmoAfeHqOKaP17SMzoXyuN
    WwS3kojlGITaWMEl/ksCIQDkZalO/H07+1jIWXZkFqqtOhAmhSphlYy2ldbe+jdx
    uwIgCFtGk/LRDBGkGyabw4mpaCEwzW5i73UbC/T5GdM7/vMCIQC3aLvxZejbhhfh
    q5XbAijFOt9FT6KdAo8hAGqwXJaxiQIgOi/xICb1iBC4arODdve3ECLjYkLlmSWN
    hmg10LF4VJY=
    -----END PRIVATE KEY-----

    """
}

// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Fuzz",
  dependencies: [.package(name: "freshet", path: "../..")],
  targets: [
    .executableTarget(
      name: "FuzzWire",
      dependencies: [.product(name: "Wire", package: "freshet")],
      swiftSettings: [
        .swiftLanguageMode(.v6),
        .enableExperimentalFeature("Lifetimes"),
        .unsafeFlags(["-parse-as-library"]),
      ]
    )
  ]
)

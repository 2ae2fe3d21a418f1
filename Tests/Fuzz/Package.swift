// swift-tools-version: 6.2
import PackageDescription

/// A fuzz target of one module, which has an entry point of libFuzzer instead of a `main`.
func fuzz(_ name: String) -> Target {
  .executableTarget(
    name: "Fuzz\(name)",
    dependencies: [.product(name: name, package: "freshet")],
    swiftSettings: [
      .swiftLanguageMode(.v6),
      .enableExperimentalFeature("Lifetimes"),
      .unsafeFlags(["-parse-as-library"]),
    ]
  )
}

let package = Package(
  name: "Fuzz",
  dependencies: [.package(name: "freshet", path: "../..")],
  targets: [
    fuzz("Wire"),
    fuzz("Integrity"),
  ]
)

// swift-tools-version: 6.2
import PackageDescription

/// A fuzz target of one module, which has an entry point of libFuzzer instead of a `main`.
func fuzz(_ name: String, _ more: [Target.Dependency] = []) -> Target {
  .executableTarget(
    name: "Fuzz\(name)",
    dependencies: [.product(name: name, package: "freshet")] + more,
    swiftSettings: [
      .swiftLanguageMode(.v6),
      .enableExperimentalFeature("Lifetimes"),
      .unsafeFlags(["-parse-as-library"]),
    ]
  )
}

let package = Package(
  name: "Fuzz",
  dependencies: [
    .package(name: "freshet", path: "../.."), .package(path: "../../Sources/PluginKit"),
  ],
  targets: [
    fuzz("JSON5"),
    fuzz("Wire"),
    fuzz("Integrity", [.product(name: "Wire", package: "freshet")]),
    fuzz(
      "Inspect",
      [
        .product(name: "Integrity", package: "freshet"), .product(name: "PluginKit", package: "PluginKit"),
        .product(name: "Swarm", package: "freshet"), .product(name: "Wire", package: "freshet"),
      ]
    ),
    fuzz(
      "Swarm",
      [
        .product(name: "Integrity", package: "freshet"), .product(name: "PluginKit", package: "PluginKit"),
        .product(name: "Wire", package: "freshet"),
      ]
    ),
  ]
)

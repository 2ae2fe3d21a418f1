// swift-tools-version: 6.2
import PackageDescription

/// A fuzz target of a module, which has an entry point of libFuzzer instead of a `main`.
func fuzz(_ name: String, of module: String? = nil, _ more: [Target.Dependency] = []) -> Target {
  .executableTarget(
    name: "Fuzz\(name)",
    dependencies: [.product(name: module ?? name, package: "freshet")] + more,
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
    .target(name: "FuzzSupport"),
    fuzz(
      "Content",
      of: "Swarm",
      [
        .product(name: "Integrity", package: "freshet"), .product(name: "PluginKit", package: "PluginKit"),
        .product(name: "Wire", package: "freshet"), "FuzzSupport",
      ]
    ),
    fuzz(
      "Swarm",
      [
        .product(name: "Integrity", package: "freshet"), .product(name: "PluginKit", package: "PluginKit"),
        .product(name: "Wire", package: "freshet"), "FuzzSupport",
      ]
    ),
  ]
)

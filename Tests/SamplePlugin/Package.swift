// swift-tools-version: 6.2
import PackageDescription

let package = Package(
  name: "Star",
  products: [.library(name: "Star", type: .dynamic, targets: ["Star"])],
  // In a package of your own: the folder Sources/PluginKit of the freshet that is to load the plugin.
  dependencies: [.package(path: "../../Sources/PluginKit")],
  targets: [
    .target(
      name: "Star",
      dependencies: [.product(name: "PluginKit", package: "PluginKit")],
      swiftSettings: [.swiftLanguageMode(.v6)]
    )
  ]
)

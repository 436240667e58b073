class Ssctl < Formula
  desc "Admin command-line for the StreamSpace control plane"
  homepage "https://stream.space"
  url "@URL@"
  sha256 "@SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build

  def install
    # Whose signature `ssctl version --verify` counts; none where the release has no key.
    key = "@KEY@"
    ENV["STREAMSPACE_RELEASE_KEY"] = key unless key.empty?
    system "cargo", "install", *std_cargo_args(path: "cli")
    generate_completions_from_executable(bin/"ssctl", "completion", shells: [:bash, :zsh, :fish])
    man1.install Dir["man/ssctl*.1"]
    man5.install Dir["man/ssctl*.5"]
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/ssctl version")
    # It is logged in nowhere.
    assert_match "ssctl login", shell_output("#{bin}/ssctl whoami 2>&1", 4)
  end
end

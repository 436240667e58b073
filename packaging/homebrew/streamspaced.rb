class Streamspaced < Formula
  desc "Control plane of StreamSpace, for development on this machine"
  homepage "https://stream.space"
  url "@URL@"
  sha256 "@SHA256@"
  license any_of: ["MIT", "Apache-2.0"]

  depends_on "rust" => :build
  depends_on "postgresql@17"

  def install
    system "cargo", "install", *std_cargo_args(path: "daemon")
    man5.install Dir["man/streamspaced*.5"]
    man8.install Dir["man/streamspaced*.8"]
    pkgshare.install "packaging/alerts", "packaging/dashboards"
  end

  def caveats
    <<~EOS
      `streamspaced dev` runs a whole region on this machine, with a PostgreSQL of
      its own and a simulated cluster, and prints what to try.
    EOS
  end

  test do
    assert_match version.to_s, shell_output("#{bin}/streamspaced --version")
    output = shell_output("#{bin}/streamspaced check-config --config #{testpath}/none 2>&1", 1)
    assert_match "none", output
  end
end

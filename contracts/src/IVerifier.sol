// SPDX-License-Identifier: MIT
pragma solidity 0.8.37;

/// @notice Checks one proof of the batch circuit, wrapped for BN254 [P6].
interface IVerifier {
    /// @notice Whether `proof` proves the batch circuit's statement for these public inputs.
    /// @param instances C, z and y: eight words below p = 2^64 − 2^32 + 1, three a number, the
    /// first one lowest. The caller builds them; each is below 2^192.
    function verify(bytes calldata proof, uint256[3] calldata instances)
        external
        view
        returns (bool);

    /// @notice Digest of the verifying key; never 0.
    function keyDigest() external view returns (bytes32);

    /// @notice Whether the key comes from a setup whose secret somebody may know.
    function devSetup() external view returns (bool);
}

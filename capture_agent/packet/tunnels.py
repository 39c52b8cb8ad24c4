"""All encapsulations in tables: the decoder for each number. `inner.py` defines a decoder's result.

The packet decoder itself reads VLAN tags, Linux cooked, loopback and raw IP.
"""

from __future__ import annotations

from capture_agent.packet import behind_ethertype, behind_ip, behind_udp, esp, inner, link_layers, wireless
from capture_agent.packet.inner import Decoder

BY_ETHERTYPE: dict[int, Decoder] = {
    0x22F3: behind_ethertype.trill,
    0x6558: inner.ethernet,
    0x880B: behind_ethertype.ppp,
    0x8847: behind_ethertype.mpls,
    0x8848: behind_ethertype.mpls,
    0x8864: behind_ethertype.pppoe,
    0x88E7: behind_ethertype.backbone,
    0x8926: behind_ethertype.vn_tag,
    0x893F: behind_ethertype.extension_tag,
    0x894F: behind_ethertype.nsh,
}

# An Ethernet or Linux cooked header with a length in place of the ethertype, or 4 (LINUX_SLL_P_802_2).
BEHIND_LENGTH: Decoder = behind_ethertype.llc

BY_IP_PROTOCOL: dict[int, Decoder] = {
    4: behind_ip.ipv4,
    41: behind_ip.ipv6,
    47: behind_ip.gre,
    51: behind_ip.ah,
    97: behind_ip.etherip,
    137: behind_ethertype.mpls,
}

# The destination port; for L2TP the source port as well.
BY_UDP_PORT: dict[int, Decoder] = {
    1701: behind_udp.l2tp,
    2152: behind_udp.gtp_u,
    4754: behind_ip.plain_gre,
    4789: behind_udp.vxlan,
    4790: behind_udp.vxlan_gpe,
    6081: behind_udp.geneve,
    6635: behind_ethertype.mpls_that_fits,
    7932: behind_udp.hp_erm,
    8472: behind_udp.vxlan,  # Linux's default before the port was assigned, still in use
    37008: behind_udp.tzsp,
}

# Only if ESP with NULL encryption is enabled: a guess. Either port may match: a NAT changes the other.
ESP_BY_IP_PROTOCOL: dict[int, Decoder] = {50: esp.esp_null}
ESP_BY_UDP_PORT: dict[int, Decoder] = {4500: esp.esp_null}

# LINKTYPE_ values, https://www.tcpdump.org/linktypes.html
BY_LINK_TYPE: dict[int, Decoder] = {
    9: link_layers.ppp_or_hdlc,
    50: link_layers.ppp_or_hdlc,
    51: behind_ethertype.pppoe,
    104: link_layers.cisco_hdlc,
    105: wireless.ieee80211,
    109: link_layers.enc,
    117: link_layers.pflog,
    119: wireless.prism,
    127: wireless.radiotap,
    163: wireless.avs,
    166: link_layers.ppp_with_direction,
    192: wireless.ppi,
    197: link_layers.erf,
    204: link_layers.ppp_with_direction,
    239: link_layers.nflog,
}

"""What tests of several wings share: tolerances, engines, recorded cases, tables of losses."""

"""What is made from tissues and lesions: NAWM, zones, shells, lobes, atlases."""

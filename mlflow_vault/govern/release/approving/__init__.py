"""What people say of a version: approvals, rejections, evidence, and who proves to be whom."""
